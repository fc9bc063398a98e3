"""What a policy does about the pixels and documents of one instance.

Belongs here: rules before kinds at risk, what is blanked, reason codes. Does not belong here: reading headers
(`pixel_facts.py`), the kinds (`pixel_risks.py`), blanking (`script/blanking.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inbox_pipeline.deid.options import PIXEL_CODE, Code
from inbox_pipeline.deid.pixel_conditions import holds
from inbox_pipeline.deid.pixel_faces import shows_face
from inbox_pipeline.deid.pixel_facts import Facts
from inbox_pipeline.deid.pixel_risks import (
    ANNOTATION_RISK,
    IMAGE_REASON,
    RISK_NAMES,
    ULTRASOUND_RISK,
    WITHOUT_PIXELS,
    Risk,
    is_ultrasound,
    risks,
)
from inbox_pipeline.deid.pixel_rules import IMAGE, REGIONS, Area, Rule, Rules
from inbox_pipeline.errors import Rejected
from inbox_pipeline.script.errors import Failure
from inbox_pipeline.script.pixels import Rectangle, complement

if TYPE_CHECKING:
    from inbox_pipeline.deid.pixel_search import Seen

KEEP, BLANK, HOLD, EXCLUDE = "keep", "blank", "hold", "exclude"
METHOD = PIXEL_CODE.meaning
"""What joins (0012,0063) when something was blanked."""

RECOGNIZABLE_FEATURES = 0x00280302
_RULE_HOLD, _RULE_ERROR, _RULE_EXCLUDE = "pixel_rule_hold", "pixel_rule_error", "pixel_rule_exclude"
TEXT_REASON = "text_in_pixels"
"""What a file is held for that seems to show text whatever is blanked."""


@dataclass(frozen=True)
class PixelOptions:
    """What a policy says besides rules: names of kinds at risk (`pixel_risks.RISK_NAMES`) that pass as they are."""

    passing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> PixelOptions:
        """Return the options that let the named kinds pass.

        Raises:
            Rejected: `parameter_invalid`.
        """
        passing = frozenset(names)
        if unknown := passing - frozenset(RISK_NAMES):
            sentence = f"{len(unknown)} of the kinds named are not kinds at risk."
            raise Rejected("parameter_invalid", sentence, f"Choose from: {', '.join(RISK_NAMES)}.")
        return cls(passing)


@dataclass(frozen=True)
class PixelDecision:
    """What is done: `kind` is `keep`, `blank`, `hold` or `exclude`.

    `rectangles` are blanked in every frame. `reason` is the ledger's code of a file that is held or excluded, `detail`
    says why in words without values, `rule` names the rule that decided. `face` tells that the image may show a face,
    whatever else is done. `looks` tells that the pixels are to be looked at before this is final, `looked` that this is
    what looking has led to.
    """

    kind: str
    rectangles: tuple[Rectangle, ...] = ()
    reason: str | None = None
    detail: str | None = None
    rule: str | None = None
    face: bool = False
    looks: bool = False
    looked: bool = False

    @property
    def codes(self) -> tuple[Code, ...]:
        """The codes for (0012,0064) that the output earns, besides the profile's."""
        return (PIXEL_CODE,) if self.kind == BLANK else ()

    @property
    def markers(self) -> Mapping[int, tuple[str, ...]]:
        """The values to set, besides what blanking itself says: (0028,0302) for what may show a face."""
        return {RECOGNIZABLE_FEATURES: ("YES",)} if self.face else {}

    @property
    def note(self) -> str | None:
        """What the ledger says of text that was found and blanked."""
        return f"drawn text was blanked, places: {len(self.rectangles)}" if self.blanks_text else None

    @property
    def blanks_text(self) -> bool:
        """Whether what is blanked is text that was found by looking."""
        return self.looked and self.kind == BLANK

    def after_look(self, seen: Seen | None) -> PixelDecision:
        """Return the decision once the pixels have been looked at; `seen` is None if they could not be.

        Text is blanked. An image that is held for its annotation alone is released thereby, if nothing remains.
        """
        if seen is None or not seen.places:
            return replace(self, looks=False)
        if not seen.remains:
            return PixelDecision(BLANK, seen.places, face=self.face, looked=True)
        if self.kind == HOLD:
            return replace(self, looks=False)
        detail = f"in more places than the {len(seen.places)} that could be blanked"
        return PixelDecision(HOLD, reason=TEXT_REASON, detail=detail, face=self.face, looked=True)

    def after_scripts(self, pixels_altered: bool) -> PixelDecision:
        """Return the decision once scripts have run: one that blanked pixels has spoken for an image at risk.

        It has for one in which text was found, too. Rules stay in force, and so does what is held for a document.
        """
        at_risk = self.kind == HOLD and self.reason == IMAGE_REASON and self.rule is None
        if pixels_altered and (at_risk or self.looked):
            return PixelDecision(KEEP, face=self.face)
        return self


def decide(facts: Facts, rules: Rules, options: PixelOptions) -> PixelDecision:
    """Return what is done about the pixels and documents of an instance.

    The first rule whose condition holds decides; after one that says `further`, later ones that blank join it. A rule
    that blanks passes over what is no image, and a rule that cannot be applied holds the file. Without a rule, kinds at
    risk are held, but ultrasound with regions is blanked outside of them; the rest is kept.
    """
    return replace(_decided(facts, rules, options), face=shows_face(facts))


def _decided(facts: Facts, rules: Rules, options: PixelOptions) -> PixelDecision:
    joined: PixelDecision | None = None
    for rule in rules.rules:
        if joined is not None and rule.action != BLANK:
            continue
        decision = _attempted(rule, facts)
        if decision is None:
            continue
        if decision.kind != BLANK:
            return decision
        joined = decision if joined is None else _together(joined, decision)
        if not rule.further:
            return joined
    return joined or _by_kind(facts, options)


def _attempted(rule: Rule, facts: Facts) -> PixelDecision | None:
    """What one rule leads to; None if it does not apply."""
    try:
        matches = holds(rule.condition, facts)
    except Failure as failure:
        return _unfit(rule, failure.message)
    return _ruled(rule, facts) if matches and (rule.action != BLANK or _is_plain_image(facts)) else None


def _together(first: PixelDecision, second: PixelDecision) -> PixelDecision:
    rectangles, names = (*first.rectangles, *second.rectangles), f"{first.rule}, {second.rule}"
    return replace(first, rectangles=rectangles, rule=names)


def _is_plain_image(facts: Facts) -> bool:
    """Whether blanking can clean it: it has pixels, and nothing else that shows who the patient is."""
    return facts.has_pixels and not any(risk.found(facts) for risk in WITHOUT_PIXELS)


def _ruled(rule: Rule, facts: Facts) -> PixelDecision:
    if rule.action == HOLD:
        return PixelDecision(HOLD, reason=_RULE_HOLD, detail=f"rule {rule.name}", rule=rule.name)
    if rule.action == EXCLUDE:
        return PixelDecision(EXCLUDE, reason=_RULE_EXCLUDE, detail=f"rule {rule.name}", rule=rule.name)
    if rule.action == KEEP:
        return PixelDecision(KEEP, rule=rule.name)
    areas = _blanked(rule.area, facts)
    if areas is None:
        return _unfit(rule, "what it blanks does not lie in the image")
    return PixelDecision(BLANK, areas, rule=rule.name)


def _unfit(rule: Rule, why: str) -> PixelDecision:
    return PixelDecision(HOLD, reason=_RULE_ERROR, detail=f"rule {rule.name}: {why}", rule=rule.name)


def _blanked(area: Area, facts: Facts) -> tuple[Rectangle, ...] | None:
    """The rectangles to blank, inside the image; None if that is nothing."""
    if facts.size is None:
        return None
    columns, rows = facts.size
    if area.where == REGIONS:
        return _outside_regions(facts)
    if area.outside:
        return tuple(complement(area.rectangles, columns, rows)) or None
    given = (Rectangle(0, 0, columns, rows),) if area.where == IMAGE else area.rectangles
    return tuple(each for each in (one.clipped(columns, rows) for one in given) if each) or None


def _outside_regions(facts: Facts) -> tuple[Rectangle, ...] | None:
    """What lies outside the ultrasound regions; None if there are none that fit the image, or nothing is outside.

    A region may end one pixel beyond the image, as some devices count. One that ends farther belongs to an image of
    another size, from which this one was made: then nobody knows where the device's texts are now.
    """
    if not facts.regions or facts.size is None:
        return None
    columns, rows = facts.size
    if any(region.right > columns + 1 or region.bottom > rows + 1 for region in facts.regions):
        return None
    return tuple(complement(facts.regions, columns, rows)) or None


def _by_kind(facts: Facts, options: PixelOptions) -> PixelDecision:
    outside = _outside_regions(facts) if is_ultrasound(facts) else None
    found = [risk for risk in risks(facts) if _counts(risk, options, outside)]
    if found:
        annotated = [risk.name for risk in found] == [ANNOTATION_RISK]
        return PixelDecision(HOLD, reason=found[0].reason, detail=found[0].words, looks=annotated)
    if outside and ULTRASOUND_RISK not in options.passing:
        return PixelDecision(BLANK, outside)
    return PixelDecision(KEEP, looks=facts.has_pixels and not risks(facts))


def _counts(risk: Risk, options: PixelOptions, outside: tuple[Rectangle, ...] | None) -> bool:
    """Whether a kind at risk is a reason to hold: not where the policy lets it pass, or blanking takes care of it."""
    return risk.name not in options.passing and not (risk.name == ULTRASOUND_RISK and outside)

"""What in a text stands for somebody by its form alone: expressions, each with what it finds.

Belongs here: forms that no word list can know. Does not belong here: dates (`date_spellings.py`), words.
"""

from __future__ import annotations

import re

_ID_LABELS = (
    r"mrn|pid|ssn|nhs|ahv|cpf|cnp|rut|dni|nif|nie|bsn|insee|svnr|kvnr|iban|hic|upi|uhid|cin|empi|"
    r"patient[ _-]?(?:id|nr|no|num(?:ber|mer)?)|pat[ ._-]?(?:id|nr|no)|"
    r"acc(?:ession|n)?|case|fall(?:nr|nummer)?|order[ _-]?(?:no|nr|id)|"
    r"visit[ _-]?(?:no|nr|id)|encounter[ _-]?(?:no|nr|id)|chart|record|dossier|expediente|prontu[aá]rio|cartella|"
    r"id|ref[ _-]?(?:no|nr)?|tel(?:efon|[eé]fono|ephone)?|phone|fon|fax|mobile?|cell|handy|pager|call|serial|s/n"
)
_NUMBER_OF = r"(?:[ _]*(?:no|nr|num(?:ber|mer)?|id|\#))?[ _.:=#-]*"
_PERSON_LABELS = (
    r"(?:patient(?:in|e|en)?|pat|pt|paziente|paciente|pati[eë]nt)(?:[ _'-]*(?:s[ _])?name)?|"
    r"(?:first|last|family|given)?[ _]?name|"
    r"nom|pr[eé]nom|nombre|apellidos?|cognome|nome|naam|vorname|nachname|(?:ref(?:erring)?|req(?:uesting)?)[ ._]*"
    r"(?:phys(?:ician)?|dr|doc(?:tor)?|md)?|physician|phys|doctor|arzt|[uü]berweiser|zuweiser|m[eé]decin|medico|"
    r"m[eé]dico|arts|operator|tech(?:nician|nologist|nologe)?|mta|mtra|rtr|nurse|initials?|signed|read(?: by)?|by"
)
_WORD = r"[^\W\d_][\w'’.-]*"

RULES = (
    re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*"),  # mail
    re.compile(
        r"(?:https?|ftp|file)://\S+|\bwww\.\S+|\\\\[\w$.-]+\\\S+|\b[A-Z]:\\\S+", re.IGNORECASE
    ),  # places on a net
    re.compile(r"(?<![\d.])\d+(?:\.\d+){3,}(?![\d.])"),  # UIDs, network addresses
    re.compile(
        r"(?<!\d)\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?!\d)(?:\s?[ap]\.?m\b\.?)?|\b\d{1,2} ?[ap]m\b", re.IGNORECASE
    ),
    re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"),  # social security
    re.compile(r"(?<![\w.])(?:\+\d{1,3}[ ./-]?|00\d{2}[ ./-])?\(\d{2,5}\)[ ./-]?\d{2,5}(?:[ ./-]?\d{2,5}){0,3}(?!\d)"),
    re.compile(r"(?<![\w.])\+\d{1,3}(?:[ ./()-]{1,2}\d{1,8}){2,6}(?!\d)"),  # telephone, international
    re.compile(r"(?<![\w.])\d{2,5}(?:[ ./-]{1,3}\d{2,5}){1,2}[ ./-]{1,3}\d{3,5}(?![\w.])"),
    re.compile(r"(?<![\w.-])\d{3}[.-]\d{4}(?![\w-])"),
    re.compile(r"(?<![\w.])\d{2}(?:[ .]\d{2}){4}(?!\d)"),  # French telephone
    re.compile(rf"\b(?:{_ID_LABELS}){_NUMBER_OF}(?=[\w./-]*\d[\w./-]*\d[\w./-]*\d)[\w./-]+", re.IGNORECASE),
    re.compile(r"#\s*(?=[\w-]*\d{4})[\w-]+"),
    re.compile(
        r"\b(?:Dr|Prof|Mr|Mrs|Ms|Herr|Herrn|Frau|Mme|Mlle|M|Sr|Sra|Sig|Dott|Dhr|Mevr)\.?[ _^]+"
        r"(?:(?:Dr|Prof|med|von|van|de|der|di|el)\.?[ _]+)*(?-i:[A-ZÀ-Þ][\w'’-]*)",
    ),
    re.compile(r"\b(?:dr|prof|mrs|herr|frau|mme|mlle|sra|miss|pd)\.[ _^]*" + _WORD, re.IGNORECASE),
    re.compile(rf"\b(?:{_PERSON_LABELS})[ ._]*[:=][ ]*{_WORD}(?:(?:, ?|\^){_WORD})?", re.IGNORECASE),
    re.compile(
        r"\b\d+[ \w-]{0,6} (?:[A-Z][\w'’-]+ ){1,3}(?i:street|avenue|road|rd|lane|drive|boulevard|blvd|court|terrace|"
        r"parkway|highway|square|crescent)(?![^\W_])\.?(?:,? *(?i:apt|suite|unit|floor)\.? *\w+)?"
        r"(?:, *[A-Z][\w'’ .-]+)?"
    ),
    re.compile(
        r"\b[\w-]+(?:str\.|straße|strasse|platz|gasse|allee|damm|ufer|straat|laan|plein|gracht|kade) *\d+ ?[a-z]?\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b\d+,? *(?:bis |ter )?(?:rue|avenue|boulevard|bd|chemin|impasse|quai) (?:de |du |des |la |le |l['’])*"
        + _WORD,
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:calle|c/|avda\.?|avenida|plaza|paseo|viale|piazza|corso|rua|travessa|praça) *"
        r"(?:[\w'’.-]+ ){1,4}?(?:n[.ºo°]* ?)?\d+",
        re.IGNORECASE,
    ),
    re.compile(r"\bVia (?:[A-Z][\w'’.-]+ ){1,3}\d+"),
    re.compile(r"\b[A-Z]{2} +\d{5}(?:-\d{4})?\b(?! *(?:mm|ms|hz|s)\b)"),  # state and ZIP code
    re.compile(
        r"\b(?:[A-Z]{1,2}\d[A-Z]|[A-Z]{2}\d{1,2}) +\d(?!MM|CM|SL|DW|FA|DI|MI|MS)[A-Z]{2}\b"
    ),  # British post code
)

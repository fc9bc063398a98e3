"""The demo: sample sessions made by the program, what is expected of them, and the run that shows it.

Belongs here: phantoms, sample files, the table of expected outcomes, the work of the `demo` command. Does not belong
here: anything that a real site uses; nothing outside this package and `cli` imports it.
"""

"""inbox_pipeline: folders of DICOM in, anonymized, checked and catalogued sessions out.

Importing the package does nothing: no I/O and no reading of the environment.
"""

__version__ = "0.1.0"

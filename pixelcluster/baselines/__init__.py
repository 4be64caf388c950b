"""Methods to compare with, behind one interface (`base.Baseline`), one file each."""

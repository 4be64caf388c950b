"""Methods that cluster whole images, behind one interface (`base.ImageBaseline`), one file each."""

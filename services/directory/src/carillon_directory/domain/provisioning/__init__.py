"""What phones fetch at boot: their settings and their phone book, in each maker's own form. Pure."""

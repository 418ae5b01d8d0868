"""`carillon up`: every service as a process of its own under one supervisor. `policy` decides, the other modules act."""

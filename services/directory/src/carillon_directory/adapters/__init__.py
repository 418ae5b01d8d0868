"""What the ports are made of, and what turns stored facts into published ones and messages into documents."""

"""The built-in test phone: SIP over UDP by `carillon_sip`, G.711 audio in Python, and an ear that says what it hears."""

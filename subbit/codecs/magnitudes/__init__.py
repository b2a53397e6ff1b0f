"""How |W| is written down when signs are coded apart; one file a coder."""

"""How good are generated digits, and how likely are real ones? A judge, distances between sets, the bound in bits."""

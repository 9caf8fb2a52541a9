"""How good are generated digits? A judge that reads them, and distances between sets of them."""

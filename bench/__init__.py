"""What a request costs: a stub provider and a load generator in C, and the program that measures with them."""

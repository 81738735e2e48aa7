"""Two players that train each other: GAN, conditional GAN, and what their steps are made of."""

"""Flow matching: data as the end of a flow from noise, and what its steps are made of."""

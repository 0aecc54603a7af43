"""Forms: what a person types, turned into what a lower room asks for."""

"""The site of the documentation: laid out, built, checked."""

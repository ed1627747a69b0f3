"""Loading a talker and making it speak."""

"""What can be typed and what it means; the only room that knows argparse."""

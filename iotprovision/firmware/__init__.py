"""Which firmware image serves which kit and job, and where the images come from."""

"""What is asked: specification, plan, lifecycle, verification. Pure."""

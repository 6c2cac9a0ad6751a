"""What work is offered for, and what an offer binds its maker to: pure."""

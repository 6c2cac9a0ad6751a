"""What must hold in a simulated world whatever goes wrong in it, read from outside by code that no node uses."""

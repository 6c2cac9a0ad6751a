"""Members that lie: what they do, for the simulator and for real testnets; and the program of a real one."""

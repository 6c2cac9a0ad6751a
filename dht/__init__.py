"""Discovery of sellers by skill in a Kademlia network; imports crypto only."""

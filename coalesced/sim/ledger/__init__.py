"""The ledger's agreement in virtual time: replicas on simulated disks and networks, harmed and checked."""

"""The rules that choose among evaluated sellers; each is one pure function `pick(rows, limit, config)`."""

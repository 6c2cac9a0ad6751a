"""Questions answered from long documents by BM25 retrieval and extraction, with citations."""

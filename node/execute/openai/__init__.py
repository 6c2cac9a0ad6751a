"""Models behind OpenAI-compatible endpoints (vLLM, Ollama, llama.cpp, hosted) as skills, by a client of our own."""

"""Valid studies, mutated: whatever they are turned into, there is an answer, and every layer gives the same."""

"""The desk as an AI assistant sees it: eleven tools over MCP, and nothing that approves."""

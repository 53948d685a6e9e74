"""The console: a page that shows the grid and acts on it, by the public doors alone (docs/console.md)."""

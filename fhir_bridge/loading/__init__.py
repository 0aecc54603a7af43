"""The first load of what an organisation or a partner has already: files, folders and exports, however large."""

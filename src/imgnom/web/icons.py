"""The site's own line icons, one path each on a 24-unit square."""

ICONS = {
    "tick": "M4.5 12.5 10 18 19.5 7",
    "cross": "M6 6l12 12M18 6 6 18",
    "ring": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
    "clock": "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3.5 2",
    "upload": "M12 16V4M7 9l5-5 5 5M4 16v4h16v-4",
    "download": "M12 4v12M7 11l5 5 5-5M4 16v4h16v-4",
    "find": "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.5 15.5 20 20",
    "home": "M4 11 12 4l8 7v9h-5v-6H9v6H4Z",
    "person": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20.5c.8-3.8 3.8-6 7.5-6s6.7 2.2 7.5 6",
    "warn": "M12 4 2.8 20h18.4ZM12 10v4.5M12 17v.4",
    "paper": "M6 3.5h8l4 4V20.5H6ZM9 12h6M9 16h6",
    "board": "M4 8h16v12H4ZM7 8V4.5h10V8M4 16l5-4 4 3 3-2 4 3",
    "left": "M15 5l-7 7 7 7",
    "right": "M9 5l7 7-7 7",
}

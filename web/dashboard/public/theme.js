"use strict";

// Before anything is drawn, so that a page chosen to be dark never flashes white.
{
  const chosen = localStorage.getItem("kasparro:theme");
  if (chosen === "dark" || chosen === "light") {
    document.documentElement.dataset.theme = chosen;
  }
}

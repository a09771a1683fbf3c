// The theme somebody chose, before anything is drawn; without a choice the system's counts.
// The choice is all that is ever kept in this browser's storage.
(function () {
  let theme = null;
  try {
    theme = localStorage.getItem("lipfarm-theme");
  } catch {
    // Storage is switched off: the system's theme, then.
  }
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
  }
})();

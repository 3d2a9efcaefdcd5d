import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/app";
import { pageOf } from "./app/router";
import { followCoins } from "./coins/live";
import { askEarly } from "./coins/page";
import { followRuns } from "./runs/live";
import { followOverview } from "./sources/store";
import "./styles/index.css";

// Before anything is drawn.
if (pageOf(location.pathname).name === "coins") askEarly();
followCoins();
followRuns();
followOverview();

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/app";
import { prefetchPages } from "./app/pages";
import { pageOf } from "./navigation/router";
import { followCoins } from "./coins/live";
import { prefetchCoins } from "./coins/page";
import { followRuns } from "./runs/live";
import { followOverview } from "./overview/store";
import "./styles/index.css";
import { Boundary } from "./ui/boundary";

// Before the first render.
if (pageOf(location.pathname).name === "coins") prefetchCoins();
followCoins();
followRuns();
followOverview();
prefetchPages();

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <Boundary place="">
        <App />
      </Boundary>
    </StrictMode>,
  );

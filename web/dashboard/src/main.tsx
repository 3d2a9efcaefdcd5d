import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/app";
import { prefetchRooms } from "./app/rooms";
import { pageOf } from "./navigation/router";
import { followCoins } from "./coins/live";
import { askEarly } from "./coins/page";
import { followRuns } from "./runs/live";
import { followOverview } from "./overview/store";
import "./styles/index.css";
import { Boundary } from "./ui/boundary";

// Before anything is drawn.
if (pageOf(location.pathname).name === "coins") askEarly();
followCoins();
followRuns();
followOverview();
prefetchRooms();

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <Boundary place="">
        <App />
      </Boundary>
    </StrictMode>,
  );

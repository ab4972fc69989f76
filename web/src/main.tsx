import { render } from "preact";
import { App } from "./app";
import { showTheme } from "./data/theme";

showTheme();
const page = document.getElementById("page");
if (page) {
  page.textContent = "";
  render(<App />, page);
}

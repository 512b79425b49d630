"use strict";
setInterval(async () => {
  if (document.hidden) return;
  const state = document.getElementById("live");
  try {
    const answer = await fetch("/", {cache: "no-store"});
    if (!answer.ok) throw new Error();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.getElementById("live").textContent = "live";
  } catch {
    state.textContent = "the gateway does not answer";
    state.className = "bad strong";
  }
}, 5000);

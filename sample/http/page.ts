/** The page at `/`: it shows an event stream, a WebSocket echo of the same host when there is one, and an upload. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Lamp shop</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark; }
  output { display: block; font-family: ui-monospace, monospace; white-space: pre-wrap; }
</style>
<h1>Lamp shop</h1>
<p>A page of the sample service. What it fetches appears in the inspector.</p>
<p><button id="list">List products</button> <button id="upload">Upload 256 KB</button></p>
<output id="answer">–</output>
<h2>Events</h2>
<output id="events"></output>
<script>
  const show = (id, text) => { document.getElementById(id).textContent = text; };
  document.getElementById("list").onclick = async () =>
    show("answer", JSON.stringify(await (await fetch("api/products")).json(), null, 2));
  document.getElementById("upload").onclick = async () =>
    show("answer", await (await fetch("upload", { method: "POST", body: new Uint8Array(256 * 1024) })).text());
  const events = new EventSource("events");
  events.onmessage = (event) => show("events", event.data);
</script>
</html>
`;

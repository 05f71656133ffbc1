// The page of `litevision serve`: answers come from the server that it came from.
let token = "";

const headers = (more = {}) => token ? { ...more, Authorization: `Bearer ${token}` } : more;
const place = (name) => `v1/models/${encodeURIComponent(name)}`;
const body = (file) => ({ method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers) });
  if (answer.ok) return answer;
  if (answer.status === 401) { $("token").hidden = false; $("secret").focus(); }
  let text = `${answer.status} ${answer.statusText}`;
  try { text = (await answer.json()).error; } catch { /* no JSON: the status says it */ }
  throw new Error(text);
}

const server = {
  async models() {
    const { models } = await (await ask("v1/models")).json();
    $("token").hidden = true;
    return models.map((it) => it.name);
  },
  facts: async (name) => (await ask(place(name))).json(),
  card: async (name) => (await ask(`${place(name)}/card`)).text(),
  async predict(name, file, { task }) {
    const options = task === "detection" ? `?score=${LEAST}` : `?top=${TOP}`;
    return (await (await ask(`${place(name)}:predict${options}`, body(file))).json()).results[0];
  },
  draw: async (name, file) => (await ask(`${place(name)}:predict?draw=1`, body(file))).blob(),
};

$("token").addEventListener("submit", (event) => { event.preventDefault(); token = $("secret").value; begin(server); });
begin(server);

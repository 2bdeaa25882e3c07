const $ = id => document.getElementById(id);

/** Asks the appliance; what goes wrong becomes an Error with its sentence and its code. */
async function ask(method, path, body) {
  const about = { method, headers: { "X-Doorward": "page" } };
  if (body) {
    about.headers["Content-Type"] = "application/json";
    about.body = JSON.stringify(body);
  }
  let answer;
  try { answer = await fetch("api/v1/" + path, about) }
  catch { throw new Error("Doorward does not answer.") }
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  throw Object.assign(new Error(data.detail || data.error || "That did not work."), { code: data.code, status: answer.status });
}

/** Carries out what a form asks for; its button rests meanwhile, and what is wrong is said in it. */
function form(id, work) {
  const node = $(id), fault = node.querySelector(".fault"), button = node.querySelector("button:not([type=button])");
  node.addEventListener("submit", async submit => {
    submit.preventDefault();
    button.disabled = true;
    fault.hidden = true;
    try { await work(Object.fromEntries(new FormData(node)), node) }
    catch (error) { fault.textContent = error.message; fault.hidden = false }
    button.disabled = false;
  });
  return node;
}

/** Two fields that have to be the same. */
function same(first, second) {
  if (first !== second) throw new Error("The two passwords are not the same.");
}

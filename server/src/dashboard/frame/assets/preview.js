// On the form of a public number: what its phone would be sent follows what is typed; the server writes it.
'use strict';
// In milliseconds after the last key.
const ASK_AFTER = 250;
const form = document.getElementById('line'), preview = document.getElementById('preview');
let wait, latest = 0;
async function ask() {
  const own = ++latest;
  const answer = await fetch(form.dataset.preview, { method: 'POST', body: new URLSearchParams(new FormData(form)) }).catch(() => null);
  const text = answer?.ok ? await answer.text().catch(() => null) : null;
  // Something newer was typed meanwhile, or there is no answer: then what is shown is not what would be sent.
  if (own !== latest || text === null) return;
  preview.innerHTML = text;
  preview.classList.remove('old');
}
form.addEventListener('input', () => {
  preview.classList.add('old');
  clearTimeout(wait);
  wait = setTimeout(ask, ASK_AFTER);
});

// Keeps an open page up to date: replaces what the server says has changed, counts timers, and writes times in the viewer's zone.
'use strict';
// Times that are older than so many days are written with their year.
const SECOND = 1000, DAY = 86400 * SECOND, YEAR_AFTER_DAYS = 300;
// The server says something every 15 s.
const SILENT_FOR = 40 * SECOND, LOOK_EVERY = 2 * SECOND, LISTEN_AGAIN_AFTER = 3 * SECOND, DONE_SHOWN_FOR = 20 * SECOND;
const root = document.documentElement;
let ahead = Date.parse(root.dataset.now) - Date.now(), heard = Date.now();
const pad = (n) => String(n).padStart(2, '0');
const days = (a, b) => Math.round((new Date(a).setHours(12, 0, 0, 0) - new Date(b).setHours(12, 0, 0, 0)) / DAY);
function count(ms) {
  const s = Math.max(0, Math.floor(ms / SECOND)), m = Math.floor(s / 60);
  return m < 60 ? `${m}:${pad(s % 60)}` : `${Math.floor(m / 60)}:${pad(m % 60)}:${pad(s % 60)}`;
}
function write(time) {
  const at = new Date(time.dateTime), now = Date.now() + ahead, kind = time.dataset.t;
  if (kind === 'since') return count(now - at);
  if (kind === 'until') return count(at - now);
  if (kind === 'ago') return root.dataset.ago.replace('{time}', count(now - at));
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}${kind === 'second' ? ':' + pad(at.getSeconds()) : ''}`;
  const ago = days(now, at);
  if (ago === 0 || ago === 1) return (ago ? `${root.dataset.yesterday} ` : '') + clock;
  return `${at.toLocaleDateString(root.lang, { month: 'short', day: 'numeric', year: ago > YEAR_AFTER_DAYS ? 'numeric' : undefined })} ${clock}`;
}
function tick(which) {
  for (const time of document.querySelectorAll(which)) time.textContent = write(time);
}
// Makes one element like another, touching only what differs, so that focus, open details and typed text stay.
function become(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  if (old.matches('time[data-t]')) return;
  let at = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const same = node.id && [...old.children].find((own) => own.id === node.id);
    if (same && same !== at) { old.insertBefore(same, at); at = same; }
    const fits = at && at.nodeName === node.nodeName && (at.id || '') === (node.id || '');
    if (!fits) { old.insertBefore(node, at); continue; }
    if (node.nodeType !== 1) { if (at.data !== node.data) at.data = node.data; } else become(at, node);
    at = at.nextSibling;
  }
  while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
}
function show({ now, title, parts }) {
  ahead = Date.parse(now) - Date.now();
  document.title = `${title} · ${document.body.dataset.brand}`;
  for (const { id, version, html } of parts) {
    const part = document.getElementById(id);
    if (!part || part.dataset.version === version) continue;
    const fresh = Object.assign(part.cloneNode(false), { innerHTML: html });
    fresh.dataset.version = version;
    become(part, fresh);
  }
  tick('time[data-t]');
}
// While the line is cut nothing moves: what stands there is old, says from when it is, and counting on would make it look new.
function cut(lost, is) {
  if (is && lost.hidden) { lost.querySelector('time').dateTime = new Date(heard + ahead).toJSON(); tick('#lost time'); }
  root.classList.toggle('cut', is); lost.hidden = !is;
}
function listen(lost) {
  const source = new EventSource(document.body.dataset.live);
  heard = Date.now();
  const alive = () => { heard = Date.now(); cut(lost, false); dispatchEvent(new Event('alive')); };
  source.onopen = alive;
  source.addEventListener('sight', (event) => { alive(); show(JSON.parse(event.data)); });
  source.addEventListener('end', () => location.reload());
  const again = () => {
    clearInterval(watch);
    source.close();
    cut(lost, true);
    setTimeout(listen, LISTEN_AGAIN_AFTER, lost);
  };
  source.onerror = () => { cut(lost, true); if (source.readyState === EventSource.CLOSED) { again(); dispatchEvent(new Event('refused')); } };
  // A connection that has died without a word would leave old news standing.
  const watch = setInterval(() => { if (Date.now() - heard > SILENT_FOR) again(); }, LOOK_EVERY);
}
// A menu closes when something else is pressed, and by Escape.
for (const kind of ['click', 'keydown']) addEventListener(kind, ({ target, key }) => document.querySelectorAll('.menu[open]').forEach((menu) => { menu.open = key ? key !== 'Escape' : menu.contains(target); }));
// A time that somebody types is one of their own zone; without script it is UTC, and the page says so.
root.classList.add('scripted');
document.addEventListener('submit', ({ target }) => {
  for (const instant of target.querySelectorAll('input[data-of]')) {
    const { value } = target.elements[instant.dataset.of];
    instant.value = value && new Date(value).toISOString();
  }
});
// What was just done is said once: neither a reload nor a page that stays open for hours is to repeat it.
const done = document.getElementById('done');
if (done) { const here = new URL(location); here.searchParams.delete('done'); history.replaceState(null, '', here); setTimeout(() => done.remove(), DONE_SHOWN_FOR); }
tick('time[data-t]');
setInterval(() => root.classList.contains('cut') || tick('time[data-t=since], time[data-t=until], time[data-t=ago]'), SECOND);
// What only some pages need is loaded by them.
for (const { dataset } of document.querySelectorAll('[data-src]')) document.head.append(Object.assign(document.createElement('script'), { src: dataset.src }));
if (document.body.dataset.live) listen(document.getElementById('lost'));

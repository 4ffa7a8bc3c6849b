// On the pages of duty: a time is chosen on a calendar by dragging over it, which fills in the form; without a mouse, by choosing a shift or
// typing into it. Today is brought into view, and times are told in the reader's zone too where that differs.
'use strict';
// Times are chosen to the half hour; less than so many units of the drawing are no drag.
const HALF_HOUR = 1800 * 1000, LEAST_DRAG = 8;
function wallTime(at, zone) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat('en-CA', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' })
    .formatToParts(at).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}
function choose(strip) {
  const chosen = strip.querySelector('.chosen'), form = document.querySelector('#override form');
  const first = Date.parse(strip.dataset.from), last = Date.parse(strip.dataset.to), width = strip.viewBox.baseVal.width;
  const place = (event) => { const box = strip.getBoundingClientRect(); return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)); };
  const snap = (place) => Math.round((first + place * (last - first)) / HALF_HOUR) * HALF_HOUR;
  let begun = null, dragged = false;
  const times = (event) => [begun, place(event)].sort((a, b) => a - b);
  strip.addEventListener('dragstart', (event) => event.preventDefault());
  strip.addEventListener('pointerdown', (event) => { if (event.pointerType === 'mouse' && event.button === 0) { begun = place(event); dragged = false; } });
  strip.addEventListener('pointermove', (event) => {
    if (begun === null) return;
    const [from, to] = times(event);
    if (!dragged && (to - from) * width < LEAST_DRAG) return;
    if (!dragged) strip.setPointerCapture(event.pointerId);
    dragged = true;
    chosen.setAttribute('x', from * width);
    chosen.setAttribute('width', (to - from) * width);
  });
  strip.addEventListener('pointerup', (event) => {
    if (begun !== null && dragged) {
      const [from, to] = times(event);
      form.elements.from.value = wallTime(snap(from), strip.dataset.zone);
      form.elements.to.value = wallTime(snap(to), strip.dataset.zone);
      form.elements.person.focus();
    }
    begun = null;
  });
  // What was a drag is not a click on the bar below.
  strip.addEventListener('click', (event) => { if (dragged) event.preventDefault(); dragged = false; }, true);
}
if (document.querySelector('#override form')) document.querySelectorAll('.strip').forEach(choose);
document.querySelectorAll('.calendar').forEach((calendar) => {
  const today = calendar.querySelector('rect.today'), strip = today?.ownerSVGElement;
  if (!strip || calendar.scrollWidth <= calendar.clientWidth) return;
  const place = today.x.baseVal.value / strip.viewBox.baseVal.width;
  calendar.scrollLeft = Math.max(0, place * strip.getBoundingClientRect().width - 40);
});
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
document.querySelectorAll('.here').forEach((one) => {
  const at = new Date(one.dataset.at);
  let theirs;
  try { theirs = wallTime(at, one.dataset.zone); } catch { return; }
  const own = wallTime(at, here);
  if (own === theirs) return;
  one.textContent = one.dataset.says.replace('{time}', own.replace('T', ' ')).replace('{zone}', here);
  one.hidden = false;
});

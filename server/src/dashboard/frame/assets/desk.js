// For those at a desk: a sound and a notification when something begins to ring, for whoever has asked for it in this browser.
'use strict';
{
  const KEPT = 'autocall.desk', TONES = [880, 660, 880], EACH = 0.22, LOUD = 0.25;
  // A sound that comes later than so many milliseconds says nothing about now.
  const LATE = 5000;
  const desk = document.getElementById('desk'), button = desk.querySelector('button'), open = document.getElementById('open');
  const cards = () => new Map([...open.querySelectorAll('[data-key]')].map((card) => [card.dataset.key, card.querySelector('h3, .what')?.innerText ?? '']));
  let known = cards(), sound, wanted = false, tried = false;
  // A browser may keep nothing; then it is asked for again on each page.
  const kept = (value) => { try { if (value) localStorage.setItem(KEPT, value); return localStorage.getItem(KEPT); } catch { return value; } };
  const heard = () => sound?.state === 'running';
  const draw = () => {
    const { on, off, wake } = desk.dataset;
    button.setAttribute('aria-pressed', wanted);
    button.textContent = !wanted ? off : heard() ? on : wake;
  };
  // Browsers let a page be heard only once somebody has touched it; until then this waits.
  const wake = () => {
    if (!sound) { sound = new AudioContext(); sound.onstatechange = draw; }
    // Where there is nothing to hear it with, it stays silent, and the button says so.
    return sound.resume().catch(() => {});
  };
  const ring = async () => {
    const began = Date.now();
    if (!heard()) await wake();
    if (heard() && Date.now() - began < LATE) play();
  };
  const play = () => {
    TONES.forEach((tone, place) => {
      const from = sound.currentTime + place * EACH, wave = new OscillatorNode(sound, { frequency: tone }), volume = new GainNode(sound, { gain: 0 });
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(LOUD, from + 0.02);
      volume.gain.linearRampToValueAtTime(0, from + EACH - 0.02);
      wave.connect(volume).connect(sound.destination);
      wave.start(from);
      wave.stop(from + EACH);
    });
  };
  const notify = (key, summary) => {
    if (!('Notification' in window) || Notification.permission !== 'granted') return;
    // Some phones let only programs of their own notify, and say so by failing.
    try {
      const notice = new Notification(summary, { body: document.title, tag: key });
      notice.onclick = () => { window.focus(); notice.close(); };
    } catch { /* The sound is heard all the same. */ }
  };
  new MutationObserver(() => {
    const now = cards(), fresh = [...now].filter(([key]) => !known.has(key));
    known = now;
    if (!wanted || !fresh.length) return;
    ring();
    for (const [key, summary] of fresh) notify(key, summary);
  }).observe(open, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-key'] });
  button.addEventListener('click', async () => {
    // While it is not heard, the first press only wakes it; where nothing can be heard, the second one switches it off.
    const wakes = wanted && !heard() && !tried;
    tried = wakes;
    if (!wakes) wanted = !wanted;
    kept(wanted ? 'on' : 'off');
    draw();
    if (!wanted) return;
    ring();
    if ('Notification' in window && Notification.permission === 'default') await Notification.requestPermission();
  });
  wanted = kept() === 'on';
  // The button itself is pressed for what it says, so it must not have changed before the press is over.
  const touched = ({ target }) => { if (wanted && !heard() && !desk.contains(target)) wake(); };
  for (const touch of ['pointerdown', 'keydown']) addEventListener(touch, touched);
  draw();
  desk.hidden = false;
  if (wanted) wake();
}

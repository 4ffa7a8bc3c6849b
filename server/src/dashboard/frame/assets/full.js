// Says why a page is not kept up to date: only so many are. The stream that was refused does not tell.
'use strict';
addEventListener('alive', () => { document.getElementById('full').hidden = true; });
addEventListener('refused', async () => {
  const stop = new AbortController();
  const { status } = await fetch(document.body.dataset.live, { signal: stop.signal }).catch(() => ({}));
  stop.abort();
  if (status !== 503) return;
  document.getElementById('lost').hidden = true;
  document.getElementById('full').hidden = false;
});

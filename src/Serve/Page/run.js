(() => {
  const { element } = page;
  const PAUSE = 2000;
  const gone = element('p', { class: 'note', role: 'status' });
  gone.hidden = true;
  document.querySelector('main').before(gone);

  /** Takes the parts of the page that have changed from the page as it is now. */
  async function refresh() {
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: 'text/html' } });
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('main');
      if (!next.querySelector('#run')) return location.reload();
      gone.hidden = true;
      const main = document.querySelector('main');
      if (next.children.length !== main.children.length) main.replaceChildren(...next.children);
      else [...next.children].forEach((part, i) => part.outerHTML !== main.children[i].outerHTML && main.children[i].replaceWith(part));
      const epoch = document.getElementById('epoch');
      document.title = (epoch ? epoch.textContent.split(' · ')[0] + ' – ' : '') + 'Training run – CudaTrainer';
    } catch {
      gone.textContent = 'The server does not answer. Is it still running?';
      gone.hidden = false;
    }
    setTimeout(refresh, PAUSE);
  }

  setTimeout(refresh, PAUSE);
})();

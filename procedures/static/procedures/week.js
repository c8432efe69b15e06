"use strict";
// The week's calendar. It shows wall times of the site: dates are read by their parts, never converted between zones.
(() => {
  const given = JSON.parse(document.getElementById("desk-calendar-data").textContent);
  const place = document.getElementById("desk-calendar");
  const dialog = document.getElementById("desk-week-ask");
  const form = dialog.querySelector("form");
  const said = document.getElementById("desk-week-said");
  const { book, today, ...options } = given;

  const weekday = new Intl.DateTimeFormat(document.documentElement.lang, { weekday: "long" });
  const two = (number) => String(number).padStart(2, "0");
  const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
  const say = (words) => {
    said.hidden = !words;
    said.textContent = words;
    if (words) said.scrollIntoView({ block: "nearest" });
  };

  const content = ({ event, timeText }) => {
    const { status, what, who } = event.extendedProps;
    if (event.display === "background") return { html: "", domNodes: [part("div", event.title)] };
    const words = [part("strong", `${timeText} ${event.title}`), part("div", `${status} · ${what}`), part("div", who)];
    return { domNodes: words };
  };
  const part = (name, words) => {
    const element = document.createElement(name);
    element.textContent = words;
    return element;
  };

  const goal = form.action;
  let putBack = null;
  const drop = async ({ event, revert }) => {
    say("");
    form.appointment.value = event.id;
    form.action = `${goal}?seen=${event.extendedProps.version}`; // nothing is moved that is not as it is shown here
    form.starts.value = `${day(event.start)}T${clock(event.start)}`;
    form.key.value = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
    const asked = new FormData(form);
    asked.append("check", "1");
    place.classList.add("desk-waiting");
    try {
      const response = await fetch(form.action, { method: "POST", body: asked, headers: { Accept: "application/json" } });
      // Signed out, or in again meanwhile: the answer is a page.
      const asksToSignIn = response.redirected || response.status === 403;
      const { words, ended_by: whose } = asksToSignIn ? { words: place.dataset.signedOut } : await response.json();
      if (response.ok && !asksToSignIn) {
        document.getElementById("desk-week-words").textContent = words;
        form.ended_by.value = whose;
        form.reason.value = "";
        putBack = revert;
        dialog.showModal();
      } else {
        revert();
        say(words);
      }
    } catch {
      revert();
      say(place.dataset.failed);
    } finally {
      place.classList.remove("desk-waiting");
    }
  };
  dialog.addEventListener("close", () => { putBack?.(); putBack = null; });
  document.getElementById("desk-week-back").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", () => { putBack = null; form.querySelector("[type=submit]").disabled = true; });
  // A page that comes back from the browser's memory can be used again.
  window.addEventListener("pageshow", () => { form.querySelector("[type=submit]").disabled = false; });

  place.hidden = false;
  EventCalendar.create(place, {
    ...options,
    view: "timeGridWeek",
    firstDay: 1,
    headerToolbar: { start: "", center: "", end: "" },
    allDaySlot: false,
    slotHeight: 30,
    slotDuration: "00:30",
    slotEventOverlap: false,
    eventDurationEditable: false,
    editable: true,
    nowIndicator: false,
    locale: document.documentElement.lang,
    eventTimeFormat: (start) => clock(start),
    slotLabelFormat: (time) => clock(time),
    dayHeaderFormat: (date) => `${weekday.format(date)} ${date.getDate()}`,
    eventContent: content,
    eventDrop: drop,
    dateClick: ({ date }) => { if (book && day(date) >= today) location.assign(`${book}&on=${day(date)}`); },
    // The appointment's page opens by a click; Enter and the list's links do it without a mouse.
    eventDidMount: ({ el, event }) => {
      el.removeAttribute("tabindex");
      if (event.extendedProps.page) el.addEventListener("click", () => location.assign(event.extendedProps.page));
    },
  });
})();

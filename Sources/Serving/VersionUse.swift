// Who uses the versions of a store: endpoint files, aliases, and the revision that is served.

import Bytes
package import Deployments
import Endpoints
import Platform

/// Finds who uses versions; reads everything anew whenever it is asked.
package struct VersionUse: Sendable {
    private let folder: EndpointFolder
    private let revisions: RevisionStore
    private let store: DeploymentStore

    /// - Parameters:
    ///   - endpoints: the folder of endpoint files.
    ///   - state: the folder of the state, with the revisions.
    ///   - store: where the versions are.
    package init(endpoints: String, state: String, store: DeploymentStore) {
        folder = EndpointFolder(path: endpoints)
        revisions = RevisionStore(folder: "\(state)/revisions")
        self.store = store
    }

    /// Who uses the versions of a deployment, by number.
    ///
    /// Throws where that cannot be known: an endpoint file or the revision that cannot be read.
    package func users(
        of deployment: DeploymentName
    ) throws(DeploymentError) -> [Int: [VersionUser]] {
        var users: [Int: [VersionUser]] = [:]
        let numbers = try store.storedVersions(deployment)
        for (file, version) in try named(deployment) {
            if case .number(let number) = version {
                users[number, default: []].append(.endpointNumber(file: file))
            } else if version == .latest, numbers.count == 1 {
                users[numbers[0], default: []].append(.endpointLatest(file: file))
            }
        }
        for (alias, number) in try store.file(deployment).aliases.sorted(by: { $0 < $1 }) {
            users[number, default: []].append(.alias(alias))
        }
        let revision = try served()
        for version in revision?.versions ?? []
        where version.reference.branch == deployment.branch
            && version.reference.name == deployment.name
        {
            users[version.number, default: []].append(
                .revision(revision?.number ?? 0, reference: version.reference.version)
            )
        }
        return users
    }

    /// What the endpoint files name of a deployment, each file and reference once.
    private func named(
        _ deployment: DeploymentName
    ) throws(DeploymentError) -> [(file: String, version: VersionReference)] {
        let contents = folder.read()
        guard contents.errors.isEmpty else {
            throw DeploymentError(
                "which versions the endpoint files in \(folder.path) use cannot be known: found "
                    + "errors there; wanted files that a host could serve; correct what "
                    + "'switchyard check \(folder.path)' shows:\n"
                    + contents.errors.joined(separator: "\n")
            )
        }
        var named: [(file: String, version: VersionReference)] = []
        for endpoint in contents.endpoints {
            let file = "\(folder.path)/\(endpoint.name).yaml"
            var seen: Set<VersionReference> = []
            for split in endpoint.splits {
                guard case .deployment(let reference) = split.backend,
                    reference.branch == deployment.branch, reference.name == deployment.name,
                    seen.insert(reference.version).inserted
                else { continue }
                named.append((file, reference.version))
            }
        }
        return named
    }

    /// The revision that is served, or would be.
    private func served() throws(DeploymentError) -> Revision? {
        do {
            return try revisions.current()
        } catch {
            throw DeploymentError(
                "which versions are served cannot be known: found no readable revision in "
                    + "\(revisions.folder): \(error); wanted the one that 'current' names; start "
                    + "the host again, which writes a new one"
            )
        }
    }
}
